import Keyv from 'keyv'
import { keyvStore } from '../../src/stores/keyv.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { steady } from '../../src/stores/steady.ts'
import { storeContract } from './contract.ts'

storeContract({ name: 'memoryStore()', make: async () => ({ store: memoryStore() }), divisor: 4 })
storeContract({
  name: 'keyvStore(new Keyv())',
  make: async () => ({ store: keyvStore(new Keyv()) }),
  divisor: 4,
  longest: 1024,
})
storeContract({
  name: 'keyvStore(new Map())',
  make: async () => ({ store: keyvStore(new Map<string, string>()) }),
  divisor: 10,
  longest: 1024,
})
storeContract({
  name: 'steady(keyvStore(new Keyv()))',
  make: async () => ({ store: steady(keyvStore(new Keyv()), { memory: memoryStore() }) }),
  divisor: 10,
})
