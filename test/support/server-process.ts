export { isAlive, ServerProcess } from '../../src/torture/servers/server-process.ts';
