import type { Cancellation } from './cancellation.ts'
import type { Clock } from './clock.ts'
import { ConfigError } from './errors.ts'
import type { Events } from './events.ts'
import { fields } from './fields.ts'
import type { createLedger } from './ledger.ts'
import { kindOf } from './options.ts'
import type { Provider } from './provider.ts'
import { askable, type ReconcileOptions, reconciled } from './reconcile.ts'
import { createSinks, type Sink, type SinkTrouble } from './sinks.ts'
import type { Drift, UsageRecord } from './usage.ts'

/** Where records go: the ledger, whoever listens, the sinks; and back, when a provider's own bill is known. */
export interface Books {
  /** `warns`: kinds of drift that are told. */
  note(record: UsageRecord, warns: (kind: Drift['kind']) => boolean): void
  reconcile(record: UsageRecord | string, options?: ReconcileOptions): Promise<UsageRecord>
  /** Every sink has what it was given, or is not waited for any longer. */
  drained(patienceMs: number): Promise<void>
}

export function createBooks(about: {
  readonly ledger: ReturnType<typeof createLedger>
  readonly sinks: readonly Sink[]
  readonly events: Events
  readonly providers: readonly Provider[]
  readonly clock: Clock
  readonly closing: Cancellation
  /** Whether what was charged for a call that did not say so is looked up beside the calls. */
  readonly looksUp: boolean
  /** Keeps what runs until it is over. */
  tracked<T>(promise: Promise<T>): Promise<T>
}): Books {
  const { ledger, events, providers, clock, closing, looksUp, tracked } = about
  const sinks = createSinks(about.sinks, { clock, report })
  /** Of one record, only one look-up at a time. */
  const underWay = new Map<string, Promise<UsageRecord>>()

  function report(trouble: SinkTrouble): void {
    if (trouble.type === 'failed') events.report('sink', trouble.sink, trouble.error)
    else if (events.heard) {
      const drops = trouble.type === 'dropped' ? trouble.drops : null
      events.emit({ type: 'sink-dropped', sink: trouble.index, drops })
    }
  }

  async function lookUp(record: UsageRecord, options: ReconcileOptions | undefined): Promise<UsageRecord> {
    const narrowed = await reconciled(record, { providers, clock, closing }, options)
    if (narrowed === record) return record
    ledger.replace(narrowed)
    if (events.heard) events.emit({ type: 'reconciled', call: record.id, usage: narrowed })
    sinks.feed(narrowed)
    return narrowed
  }

  function known(given: unknown): UsageRecord {
    const id = typeof given === 'string' ? given : fields(given)?.id
    const kept = ledger.records.findLast((record) => record.id === id)
    if (kept !== undefined) return kept
    if (isRecord(given)) return given
    const got = typeof given === 'string' ? 'an id of none that is kept' : kindOf(given)
    throw new ConfigError('record', `expected a usage record, or the id of one of the newest in the ledger, got ${got}`)
  }

  function reconcile(given: UsageRecord | string, options?: ReconcileOptions): Promise<UsageRecord> {
    const record = known(given)
    const running = underWay.get(record.id)
    if (running !== undefined) return running
    const asked = lookUp(record, options).finally(() => underWay.delete(record.id))
    underWay.set(record.id, asked)
    return asked
  }

  return {
    note(record, warns) {
      ledger.note(record)
      if (events.heard) {
        for (const drift of record.drift) if (warns(drift.kind)) events.emit({ type: 'drift', call: record.id, drift })
        events.emit({ type: 'call-end', call: record.id, usage: record })
      }
      sinks.feed(record)
      if (!looksUp || record.cost.source === 'reported' || askable(record, providers).length === 0) return
      // A bill that is not to be had leaves the record as it was, and is nobody's failure.
      tracked(reconcile(record)).catch(() => {})
    },
    reconcile: async (given, options) => reconcile(given, options),
    drained: (patienceMs) => sinks.drained(patienceMs),
  }
}

function isRecord(value: unknown): value is UsageRecord {
  const { v, id, attempts } = fields(value) ?? {}
  return v === 1 && typeof id === 'string' && Array.isArray(attempts)
}
