export { freePort } from '../../src/torture/servers/free-port.ts';
