import type { Wire, WireReply, WireRequest } from 'modelfirst'
import type { Watched } from './clocks.ts'
import { type Act, BY_FETCH, GRACE } from './script.ts'
import { CODES } from './secure.ts'

export interface Playing {
  readonly clock: Watched
  /** Puts in what stands for the cell's secrets, and for dates. */
  fill(text: string): string
  /** What is to be done with the next request. */
  next(request: { readonly headers: Readonly<Record<string, string>>; readonly body: string | null }): Act
}

export interface MemoryWire extends Wire {
  /** Exchanges that are neither over nor given up. */
  readonly busy: number
}

const encoder = new TextEncoder()

/** A wire without sockets: it plays the script as `fetch` would tell of it. */
export function memoryWire({ clock, fill, next }: Playing): MemoryWire {
  const open = new Set<object>()

  function exchange(request: WireRequest, act: Act): Promise<WireReply> {
    const { signal } = request
    const self = {}
    open.add(self)
    return new Promise((resolve, reject) => {
      let over = false
      let stopTimer = () => {}
      let controller: ReadableStreamDefaultController<Uint8Array> | null = null
      let demand = () => {}
      const leave = () => {
        over = true
        open.delete(self)
        stopTimer()
        demand()
        signal.removeEventListener('abort', abort)
      }
      const fail = (error: unknown) => {
        if (over) return
        leave()
        if (controller === null) reject(error)
        else controller.error(error)
      }
      const abort = () => fail(signal.reason)
      if (signal.aborted) return abort()
      signal.addEventListener('abort', abort, { once: true })
      const pause = (ms: number) =>
        new Promise<void>((done) => {
          stopTimer = clock.timer(ms, done)
        })
      const start = (status: number, headers: Headers) => {
        const stream = new ReadableStream<Uint8Array>(
          {
            start: (given) => {
              controller = given
            },
            pull: () => demand(),
            cancel: leave,
          },
          { highWaterMark: 4 },
        )
        const bodiless = status === 204 || status === 304
        resolve({ status, headers, body: bodiless ? null : stream })
        if (bodiless) leave()
      }
      const enqueue = (bytes: Uint8Array) => controller?.enqueue(bytes)
      const bytesOf = (text: string | Uint8Array) => (typeof text === 'string' ? encoder.encode(fill(text)) : text)
      async function play(): Promise<void> {
        let framing: 'chunks' | number | 'close' = 'chunks'
        let sent = 0
        for (const step of act) {
          if (over) return
          switch (step.do) {
            case 'refuse':
              return fail(fetchFailed('ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:1'))
            case 'unknown-host':
              return fail(fetchFailed('ENOTFOUND', 'getaddrinfo ENOTFOUND host'))
            case 'insecure':
              return fail(fetchFailed(CODES[step.how], 'no secure connection'))
            case 'unread':
              break
            case 'raw':
              return fail(fetchFailed('HPE_INVALID_CONSTANT', 'Expected HTTP/'))
            case 'wait':
              await pause(step.ms)
              break
            case 'head':
              framing = step.framing
              // As the standard has it for a request that belongs to no window.
              if (BY_FETCH && step.status === 407)
                return fail(new TypeError('fetch failed', { cause: new Error('proxy authentication required') }))
              start(step.status, headersOf(step.headers, framing, fill))
              break
            case 'say': {
              const bytes = bytesOf(step.text)
              sent += bytes.length
              enqueue(bytes)
              break
            }
            case 'repeat':
              for (const bytes = bytesOf(step.text); !over; await pause(step.everyMs)) enqueue(bytes)
              return
            case 'flood': {
              const bytes = bytesOf(step.text)
              for (let n = 0; n < step.times && !over; n += 1) {
                if ((roomIn(controller) ?? 0) <= 0) {
                  await new Promise<void>((done) => {
                    demand = done
                  })
                  if (over) return
                }
                enqueue(bytes)
              }
              break
            }
            case 'garble':
              return fail(new TypeError('terminated', { cause: coded('Z_DATA_ERROR', 'incorrect header check') }))
            case 'hang':
              return
            case 'reset':
            case 'close': {
              const reset = step.do === 'reset'
              if (sent > 0) await pause(GRACE)
              if (controller === null) {
                return fail(
                  reset
                    ? fetchFailed('ECONNRESET', 'read ECONNRESET')
                    : fetchFailed('UND_ERR_SOCKET', 'other side closed'),
                )
              }
              if (!reset && (framing === 'close' || sent === framing)) return end()
              return fail(
                new TypeError('terminated', {
                  cause: coded(reset ? 'ECONNRESET' : 'UND_ERR_SOCKET', 'other side closed'),
                }),
              )
            }
            case 'end':
              return end()
          }
        }
      }
      const end = () => {
        if (over) return
        leave()
        controller?.close()
      }
      void play()
    })
  }

  return {
    get busy() {
      return open.size
    },
    send: (request) => exchange(request, next(request)),
  }
}

/** Behind a function: what a closure assigns is not followed by the compiler. */
function roomIn(controller: ReadableStreamDefaultController<Uint8Array> | null): number | null {
  return controller === null ? null : controller.desiredSize
}

function headersOf(given: Readonly<Record<string, string>>, framing: unknown, fill: (text: string) => string): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(given)) headers.set(name, fill(value))
  if (typeof framing === 'number') headers.set('content-length', String(framing))
  return headers
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}

function fetchFailed(code: string, message: string): TypeError {
  return new TypeError('fetch failed', { cause: coded(code, message) })
}
