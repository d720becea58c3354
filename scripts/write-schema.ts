import { mkdirSync, writeFileSync } from 'node:fs';
import { format } from 'prettier';
import { configJsonSchema } from '../src/config/schema.ts';

/** Writes schema/pgrep.schema.json, which editors use to complete and check pgrep.json. */
const text = await format(JSON.stringify(configJsonSchema()), { parser: 'json', printWidth: 100 });
mkdirSync(new URL('../schema/', import.meta.url), { recursive: true });
writeFileSync(new URL('../schema/pgrep.schema.json', import.meta.url), text);
