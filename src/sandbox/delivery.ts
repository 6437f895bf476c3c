import type { ServerResponse } from 'node:http'
import type { Step } from './script.ts'
import type { Ending, Frame, Job, Vendor } from './vendor.ts'

/** How fast answers come. */
export interface Pace {
  /** Before the first token. */
  readonly firstTokenMs?: number
  /** Left out: all at once. */
  readonly tokensPerSecond?: number
}

export interface Delivery {
  readonly vendor: Vendor
  readonly job: Job
  readonly step: Step
  readonly pace: Pace
  readonly response: ServerResponse
  readonly keepAliveMs: number
  /** Called before the connection is cut on purpose. */
  cutting(): void
  /** A timer that does not outlive the response. */
  after(milliseconds: number, run: () => void): void
}

/** Sends a job's answer, or as much of it as the script lets through, and says once how it ended. */
export function deliver(delivery: Delivery): void {
  const { vendor, job, response } = delivery
  let open = true
  let out = 0
  const settle = (ending: Ending) => {
    if (!open) return
    open = false
    vendor.settle(job, ending)
  }
  // A whole answer was made whether or not anyone is there to read it; only a stream can be stopped.
  response.once('close', () => settle(job.stream ? { aborted: out } : 'whole'))
  const sent = (tokens: number) => {
    out = tokens
  }
  if (job.stream) stream(delivery, settle, sent)
  else whole(delivery, settle)
}

type Settle = (ending: Ending) => void

function whole(delivery: Delivery, settle: Settle): void {
  const { vendor, job, step, pace, response, keepAliveMs, after } = delivery
  const failed = step.errorIn200 !== undefined || step.errorAfter !== undefined
  const text =
    step.errorIn200 !== undefined
      ? JSON.stringify(vendor.errorIn200(step.errorIn200, job))
      : step.errorAfter !== undefined
        ? JSON.stringify(vendor.errorIn200(step.errorAfter.code, job))
        : jsonOf(vendor, job, step)
  const speed = pace.tokensPerSecond === undefined ? 0 : (1000 * job.tokens.completion) / pace.tokensPerSecond
  const delay = (step.delayMs ?? pace.firstTokenMs ?? 0) + speed
  const headers = { ...job.headers, 'content-type': 'application/json' }

  const finish = () => {
    if (response.destroyed) return
    if (!response.headersSent) response.writeHead(200, { ...headers, 'content-length': Buffer.byteLength(text) })
    if (step.stallAfter !== undefined) {
      response.flushHeaders()
      return
    }
    settle(failed ? 'failed' : 'whole')
    if (step.cut === undefined) response.end(text)
    else {
      const bytes = step.cut.bytes ?? Math.floor(text.length / 2)
      cut(delivery, Buffer.from(text).subarray(0, bytes))
    }
  }
  if (delay <= 0) {
    finish()
    return
  }
  const white = vendor.keepAlive?.json
  if (white !== undefined && delay > keepAliveMs) {
    // The status is out before the answer is known: what fails now fails in a 200.
    const beat = () => {
      if (response.destroyed || response.writableEnded) return
      if (!response.headersSent) response.writeHead(200, headers)
      response.write(white)
      after(keepAliveMs, beat)
    }
    after(keepAliveMs, beat)
  }
  after(delay, finish)
}

function jsonOf(vendor: Vendor, job: Job, step: Step): string {
  if (step.noFinish !== true) {
    const text = vendor.json(job)
    return step.fault === 'malformed' ? text.slice(0, Math.floor(text.length * 0.6)) : text
  }
  return vendor
    .json({ ...job, reply: { ...job.reply, finish: '' } })
    .replaceAll(/"(native_)?finish_reason":""/g, '"$1finish_reason":null')
}

function stream(delivery: Delivery, settle: Settle, sent: (tokens: number) => void): void {
  const { vendor, job, step, pace, response, keepAliveMs, after } = delivery
  const frames = framesOf(vendor, job, step)
  const headers = { ...job.headers, 'content-type': 'text/event-stream', 'cache-control': 'no-cache' }
  const delay = step.delayMs ?? pace.firstTokenMs ?? 0
  const stop = step.stallAfter ?? step.cut?.chunks
  let bytesLeft = step.cut?.bytes
  let before = 0

  const send = (from: number) => {
    if (response.destroyed) return
    if (!response.headersSent) response.writeHead(200, headers)
    for (let index = from; index < frames.length; index++) {
      const frame = frames[index]
      if (frame === undefined) break
      if (index === stop) {
        // It stays open and silent; the caller has to give up.
        if (step.stallAfter !== undefined) return
        cut(delivery, Buffer.alloc(0))
        return
      }
      const wait = pace.tokensPerSecond === undefined ? 0 : (1000 * (frame.tokens - before)) / pace.tokensPerSecond
      if (wait > 0) {
        before = frame.tokens
        after(wait, () => send(index))
        return
      }
      const bytes = Buffer.byteLength(frame.data)
      if (bytesLeft !== undefined && bytes > bytesLeft) {
        cut(delivery, Buffer.from(frame.data).subarray(0, bytesLeft))
        return
      }
      if (bytesLeft !== undefined) bytesLeft -= bytes
      response.write(frame.data)
      sent(frame.tokens)
    }
    settle(step.errorAfter !== undefined || step.errorIn200 !== undefined ? 'failed' : 'whole')
    response.end()
  }

  if (delay <= 0) {
    send(0)
    return
  }
  const comment = vendor.keepAlive?.stream
  if (comment !== undefined) {
    response.writeHead(200, headers)
    const beat = () => {
      if (response.destroyed || before > 0 || response.writableEnded) return
      response.write(comment)
      after(keepAliveMs, beat)
    }
    beat()
  }
  after(delay, () => {
    // Once the first token is out there are no more comments.
    before = Math.max(before, Number.MIN_VALUE)
    send(0)
  })
}

function framesOf(vendor: Vendor, job: Job, step: Step): readonly Frame[] {
  if (step.errorIn200 !== undefined) return [{ data: vendor.errorFrame(step.errorIn200, job), tokens: 0 }]
  const frames = vendor.frames(job, { finish: step.noFinish !== true, done: step.noDone !== true })
  if (step.errorAfter !== undefined) {
    const first = frames.slice(0, step.errorAfter.chunks)
    return [...first, { data: vendor.errorFrame(step.errorAfter.code, job), tokens: first.at(-1)?.tokens ?? 0 }]
  }
  if (step.fault !== 'malformed') return frames
  const at = Math.floor(frames.length / 2)
  return frames.map((frame, index) =>
    index === at ? { ...frame, data: `${frame.data.slice(0, Math.floor(frame.data.length * 0.6))}\n\n` } : frame,
  )
}

/** Dies after these bytes are really out. */
function cut({ response, step, cutting }: Delivery, rest: Buffer): void {
  const isReset = step.cut?.reset === true
  const die = () => {
    const { socket } = response
    cutting()
    if (isReset) socket?.resetAndDestroy()
    else socket?.destroy()
  }
  response.flushHeaders()
  if (rest.length > 0) response.write(rest, die)
  // Nothing to wait for but the turn in which the earlier writes leave.
  else setImmediate(die)
}
