export { FaultProxy } from '../../src/torture/servers/fault-proxy.ts';
