export { waitFor } from '../../src/torture/servers/wait-for.ts';
