import { checkedReach } from './checks.ts'
import type { DataRule } from './dialects/dialect.ts'
import { ConfigError } from './errors.ts'
import { kindOf, unknown } from './options.ts'
import { type Limits, type Policy, policyOf, type TaskPolicy, tightened } from './policy.ts'
import type { Provider } from './provider.ts'

/** The policies of a router: those of its tasks, and any that comes in the place of a task. */
export interface Policies {
  readonly tasks: readonly string[]
  find(task: string | TaskPolicy): Policy
}

export function createPolicies(
  given: Readonly<Record<string, unknown>>,
  about: {
    readonly providers: readonly Provider[]
    /** For all of them; each may only tighten it. */
    readonly all: { readonly limits: Limits | undefined; readonly data: DataRule | undefined }
  },
): Policies {
  const { providers, all } = about
  const names = providers.map(({ name }) => name)
  const policies = new Map<string, Policy>()
  for (const [task, policy] of Object.entries(given)) {
    policies.set(task, checked(policy, { task, field: `tasks.${task}`, providers: names }))
  }
  const adHoc = new WeakMap<object, Policy>()

  function checked(policy: unknown, of: { task: string; field: string; providers: readonly string[] }): Policy {
    return checkedReach(tightened(policyOf(policy, of), all, 'createRouter'), { providers, field: of.field })
  }

  return Object.freeze({
    tasks: Object.freeze([...policies.keys()]),
    find(task: string | TaskPolicy) {
      if (typeof task === 'string') {
        const policy = policies.get(task)
        if (policy === undefined) throw new ConfigError('task', unknown('task', task, [...policies.keys()]))
        return policy
      }
      if (typeof task !== 'object' || task === null) {
        throw new ConfigError('task', `expected the name of a task or a policy, got ${kindOf(task)}`)
      }
      const known = adHoc.get(task)
      if (known !== undefined) return known
      const policy = checked(task, { task: 'ad hoc', field: 'policy', providers: names })
      adHoc.set(task, policy)
      return policy
    },
  })
}
