import { entry } from '../fields.ts'

/** Display names that are not simply their slug in capitals. */
const HOSTS: Readonly<Record<string, string>> = {
  aionlabs: 'aion-labs',
  atlascloud: 'atlas-cloud',
  'claude-platform-on-aws': 'claude-on-aws',
  google: 'google-vertex',
  inferencenet: 'inference-net',
  'mancer-2': 'mancer',
  'moonshot-ai': 'moonshotai',
  openinference: 'open-inference',
  'thinking-machines': 'thinkingmachines',
  'voyageai-by-mongodb': 'voyageai',
  'z.ai': 'z-ai',
}

/** The slug that pins a host, from the name an answer carries. */
export function hostOf(name: string): string {
  const slug = name.trim().toLowerCase().replace(/\s+/g, '-')
  return entry(HOSTS, slug) ?? slug
}
