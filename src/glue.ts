import type { Delta } from './assembly.ts'
import type { Finish } from './chat.ts'
import type { Order } from './exchange.ts'
import type { Place } from './pin.ts'
import { continued, type Seam, verify } from './seam.ts'

/** What can be heard of an answer on its way. */
export type StreamEvent =
  | Delta
  /** Another model went on from here; its first words were compared with those that had been said already. */
  | {
      readonly type: 'seam'
      readonly offset: number
      readonly from: Place
      readonly to: Place
      readonly verified: true
    }
  /** All that was seen is void; the answer begins anew. */
  | { readonly type: 'restart'; readonly discarded: number; readonly to: Place }
  | { readonly type: 'end'; readonly finish: Finish }

/** How one attempt's pieces join what was seen before it. */
export interface Glue {
  /** The order as this attempt needs it. */
  fit(order: Order): Order
  /** What may be seen of a piece is pushed to `out`; false: the attempt does not fit and is of no use. */
  take(delta: Delta, out: StreamEvent[]): boolean
  /** Something of this attempt was seen. */
  readonly shown: boolean
  /** It asks for more than the call itself does. */
  readonly continues: boolean
}

/** Nothing was seen before. */
export function plain(): Glue {
  const glue = {
    continues: false,
    shown: false,
    fit: (order: Order) => order,
    take(delta: Delta, out: StreamEvent[]) {
      glue.shown = true
      out.push(delta)
      return true
    },
  }
  return glue
}

/** What was seen is taken back, in so many words. */
export function restarting(discarded: number): Glue {
  const glue = plain()
  let to: Place
  return {
    continues: false,
    fit(order) {
      to = placeOf(order)
      return order
    },
    take(delta, out) {
      if (!glue.shown) out.push({ type: 'restart', discarded, to })
      return glue.take(delta, out)
    },
    get shown() {
      return glue.shown
    },
  }
}

/** What was seen is gone on with, once the seam is verified; until then nothing of it is shown. */
export function continuing(seam: Seam, from: Place): Glue {
  let to: Place
  let again = ''
  let verified = false
  return {
    continues: true,
    fit(order) {
      to = placeOf(order)
      // Another attempt at the same seam begins anew.
      again = ''
      return { ...order, role: 'continuation', request: continued(order.request, seam) }
    },
    take(delta, out) {
      if (verified) {
        out.push(delta)
        return true
      }
      if (delta.type !== 'text-delta') return delta.type === 'reasoning-delta'
      again += delta.text
      const verdict = verify(seam, again)
      if (verdict !== 'verified') return verdict === 'waiting'
      verified = true
      out.push({ type: 'seam', offset: seam.kept.length, from, to, verified: true })
      const rest = again.slice(seam.dropped.length)
      if (rest !== '') out.push({ type: 'text-delta', text: rest })
      return true
    },
    get shown() {
      return verified
    },
  }
}

export function placeOf({ way }: Order): Place {
  const { model, provider, host } = way.step
  return { model, provider, host }
}
