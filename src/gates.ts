import type { Clock } from './clock.ts'
import { FAILURE_KINDS } from './failure.ts'
import type { Health, SharedGate } from './health.ts'
import type { Identity } from './identity.ts'
import type { Store } from './stores/store.ts'

/** Rate limits and refused keys that routers in several processes tell each other of. */
export interface Gates {
  /** Tells the others. */
  tell(gate: SharedGate): void
  /** Hears what the others have told; nobody waits for it, and it is asked once a second at the most. */
  hear(health: Health): void
}

const HEARD_FOR = 1000

export function createGates({ store, identity, clock }: { store: Store; identity: Identity; clock: Clock }): Gates {
  let heardAt = Number.NEGATIVE_INFINITY
  const key = async () => identity('gates')
  return {
    tell({ name, kind, forMs }) {
      key()
        .then((key) => store.close(key, { [`${kind} ${name}`]: forMs }))
        .catch(() => {})
    },
    hear(health) {
      if (clock.now() - heardAt < HEARD_FOR) return
      heardAt = clock.now()
      key()
        .then((key) => store.closed(key))
        .then((closed) => {
          for (const [gate, forMs] of Object.entries(closed)) {
            const [word = '', ...rest] = gate.split(' ')
            const kind = FAILURE_KINDS.find((known) => known === word)
            if (kind !== undefined) health.learn({ name: rest.join(' '), kind, forMs }, clock.now())
          }
        })
        .catch(() => {})
    },
  }
}
