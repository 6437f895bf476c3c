import { readFileSync } from 'node:fs'

/**
 * Another version of a package, under the name that it is installed by. It is taken for the one that is compiled
 * against once it has everything of it that is used here.
 */
export async function otherVersion<Module extends object, Used extends keyof Module>(
  name: string,
  known: Module,
  used: readonly Used[],
): Promise<Pick<Module, Used>> {
  const other: object = await import(/* @vite-ignore */ name)
  if (has(other, known, used)) return other
  throw new Error(`${name} lacks something of ${used.join(', ')}`)
}

function has<Module extends object, Used extends keyof Module>(
  other: object,
  known: Module,
  used: readonly Used[],
): other is Pick<Module, Used> {
  return used.every((name) => typeof Reflect.get(other, name) === typeof known[name])
}

/** What is installed under this name. */
export function versionOf(name: string): string {
  const manifest = new URL(`../../node_modules/${name}/package.json`, import.meta.url)
  const { version }: { version: string } = JSON.parse(readFileSync(manifest, 'utf8'))
  return version
}
