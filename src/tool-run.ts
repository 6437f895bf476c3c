import type { Cancellation } from './cancellation.ts'
import type { ToolCall } from './chat.ts'
import type { Clock } from './clock.ts'
import type { Called } from './tool-calls.ts'
import { problemText, resultText } from './tool-result.ts'
import type { Tool, Toolbox } from './tools.ts'

/** What the tools of one step share. */
export interface StepOfTools {
  readonly toolbox: Toolbox
  readonly step: number
  readonly cancellation: Cancellation
  readonly clock: Clock
}

/**
 * Runs all at once, and gives what each says to the model, in the order of the calls; `null`: nobody here runs it.
 * Never rejects: what a tool throws is an answer too. Canceled, it waits for none of them any longer.
 */
export function runTools(calls: readonly Called[], about: StepOfTools): Promise<(string | null)[]> {
  const running: Promise<string | null>[] = []
  for (const { call, twinOf } of calls) {
    const twin = twinOf === null ? undefined : running[twinOf]
    running.push(twin ?? answerTo(call, about))
  }
  return Promise.all(running)
}

async function answerTo(call: ToolCall, about: StepOfTools): Promise<string | null> {
  const called = about.toolbox.find(call.name)
  if (called !== undefined) return called.run === undefined ? null : textFrom(called, call, about)
  const checked = await about.toolbox.check(call)
  return problemText(checked.ok ? '' : checked.issues[0]?.message)
}

const ABORTED = problemText('the run was aborted before the tool had ended')

function textFrom(called: Tool, call: ToolCall, { step, cancellation, clock }: StepOfTools): Promise<string> {
  const { run, timeoutMs } = called
  if (run === undefined || cancellation.canceled) return Promise.resolve(ABORTED)
  return new Promise((resolve) => {
    const controller = new AbortController()
    let stopTimer = () => {}
    const end = (text: string) => {
      stopTimer()
      forget()
      resolve(text)
    }
    const forget = cancellation.listen((reason) => {
      end(ABORTED)
      controller.abort(reason)
    })
    if (timeoutMs !== undefined) {
      stopTimer = clock.timer(timeoutMs, () => {
        const late = new Error(`the tool took longer than ${timeoutMs} ms`)
        end(problemText(late))
        controller.abort(late)
      })
    }
    const context = Object.freeze({ callId: call.id, signal: controller.signal, step })
    // Whatever it gives or throws, at once or later, also when nobody waits for it any more.
    const started = async (): Promise<unknown> => Reflect.apply(run, called, [call.arguments, context])
    started().then(
      (result) => end(resultText(result)),
      (thrown: unknown) => end(problemText(thrown)),
    )
  })
}
