import { LONGEST_MS, MOST_GATES } from './store.ts'

/** A script that is the same for everybody: what differs comes as its key and its values. */
export interface Script {
  readonly text: string
  /** What Redis knows it by. */
  sha(): Promise<string>
}

/** A hash with more fields is somebody else's, and is not read. */
const MOST_FIELDS = 1000

/** A sum by its digits; anything else is none. */
const SUM = `
local function sumOf(held)
  if type(held) ~= 'string' or #held > 16 or not string.match(held, '^%d+$') then return nil end
  local sum = tonumber(held)
  if sum > ${Number.MAX_SAFE_INTEGER} then return nil end
  return sum
end`

/** The server's clock, which is one for all. */
const NOW = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)`

/** The gates that are still closed, with their ends; of what is no gate, nothing. */
const ENDS = `
local ends = {}
local fields = redis.pcall('HLEN', KEYS[1])
if type(fields) == 'number' and fields <= ${MOST_FIELDS} then
  local held = redis.call('HGETALL', KEYS[1])
  for index = 1, #held, 2 do
    local at = string.match(held[index + 1], '^%d+$') and tonumber(held[index + 1])
    if at and at > now and at <= now + ${LONGEST_MS} then ends[held[index]] = at end
  end
end`

/** Values: the amount, the most there may be, and how long a sum that is begun lives. */
export const ADD: Script = script(`${SUM}
local held = sumOf(redis.pcall('GET', KEYS[1]))
local amount = tonumber(ARGV[1])
local sum = (held or 0) + amount
if amount > 0 and sum > tonumber(ARGV[2]) then return false end
if sum < 0 then sum = 0 end
if amount > 0 or held then
  local left = held and redis.call('PTTL', KEYS[1]) or -1
  if left < 0 then left = ARGV[3] elseif left == 0 then left = 1 end
  if sum ~= held or left == ARGV[3] then
    redis.call('SET', KEYS[1], string.format('%.0f', sum), 'PX', left)
  end
end
return string.format('%.0f', sum)`)

/** Values: a gate and its milliseconds, as often as there are gates. What is over goes; so does what is too many. */
export const CLOSE: Script = script(`${NOW}${ENDS}
for index = 1, #ARGV, 2 do
  local at = now + tonumber(ARGV[index + 1])
  if not ends[ARGV[index]] or at > ends[ARGV[index]] then ends[ARGV[index]] = at end
end
local gates = {}
for gate in pairs(ends) do gates[#gates + 1] = gate end
table.sort(gates, function(one, other) return ends[one] > ends[other] end)
redis.call('DEL', KEYS[1])
for index = 1, math.min(#gates, ${MOST_GATES}) do
  redis.call('HSET', KEYS[1], gates[index], string.format('%.0f', ends[gates[index]]))
end
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', ends[gates[1]]))
return #gates`)

/** Gates and the milliseconds that are left of each, in turns. */
export const CLOSED: Script = script(`${NOW}${ENDS}
local left = {}
for gate, at in pairs(ends) do
  left[#left + 1] = gate
  left[#left + 1] = string.format('%.0f', at - now)
end
return left`)

function script(text: string): Script {
  let sha: Promise<string> | undefined
  return {
    text,
    sha() {
      sha ??= hashOf(text)
      return sha
    },
  }
}

async function hashOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(text))
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
