import type { Clock } from './clock.ts'
import { ConfigError } from './errors.ts'
import type { Events } from './events.ts'
import type { Call } from './exchange.ts'
import { createGates, type Gates } from './gates.ts'
import { createIdentity } from './identity.ts'
import { createSessions, type Sessions } from './session.ts'
import { createSpending, type Spending, type SpendingBudget } from './spending.ts'
import { memoryStore } from './stores/memory.ts'
import { steady } from './stores/steady.ts'
import type { Store } from './stores/store.ts'

/** All that outlives a call, in this process or shared with others. */
export interface Keeping {
  readonly sessions: Sessions
  /** `null`: there are no others. */
  readonly gates: Gates | null
  spending(call: Call, metadata: Readonly<Record<string, string>>): Spending | null
  /** Nothing is on its way to the store any more. */
  drained(): Promise<void>
}

export function createKeeping(about: {
  readonly store: Store | undefined
  readonly secret: string | undefined
  readonly budgets: readonly SpendingBudget[]
  readonly clock: Clock
  readonly events: Events
  newSecret(): string
}): Keeping {
  const { store: given, secret, budgets, clock, events } = about
  const identity = createIdentity(secret ?? about.newSecret())
  const own = given === undefined ? memoryStore({ clock }) : 'learn' in given ? given : null
  if (given === undefined || own !== null) {
    const store = own ?? memoryStore({ clock })
    const spending = createSpending(budgets, { store, identity, clock })
    return { sessions: createSessions({ identity, store }), gates: null, spending, drained: async () => {} }
  }
  if (secret === undefined) {
    const why = 'without it no two processes find the same session in a shared store'
    throw new ConfigError('secret', `expected a secret beside a store, got nothing: ${why}`)
  }
  const store = steady(given, {
    memory: memoryStore({ clock }),
    clock,
    onTrouble: (trouble) => {
      if (events.heard) events.emit({ type: 'store-trouble', ...trouble })
    },
  })
  return {
    sessions: createSessions({ identity, store }),
    gates: createGates({ store, identity, clock }),
    spending: createSpending(budgets, { store, identity, clock }),
    drained: () => store.drained(),
  }
}
