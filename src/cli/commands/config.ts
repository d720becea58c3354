import type { Config } from '../../config/config.ts';
import type { Command } from '../command.ts';
import { count } from '../print/human.ts';
import { printResult } from '../print/result.ts';

/** `pgrep config show`: the configuration as pgrep understands it. */
export const configShow: Command = {
  path: ['config', 'show'],
  usage: '',
  describe: 'Print the configuration as it is understood, with defaults, without secrets',
  arguments: { least: 0, most: 0 },
  options: {},
  examples: ['pgrep config show'],
  run: (_input, context) => {
    // For people and programs alike: it is JSON in the file, too.
    printResult(context, context.config(), (config) => `${JSON.stringify(config, null, 2)}\n`);
    return Promise.resolve(0);
  },
};

/** `pgrep config check`: whether the file is right; connects to nothing. */
export const configCheck: Command = {
  path: ['config', 'check'],
  usage: '',
  describe: 'Check the configuration file; connects to nothing',
  arguments: { least: 0, most: 0 },
  options: {},
  examples: ['pgrep config check --config production.json'],
  run: (_input, context) => {
    const config = context.config();
    const result = { path: context.configPath, home: config.home, nodes: Object.keys(config.nodes) };
    printResult(context, result, ({ path }) => `${path} is right: ${showNodes(config)}; home is ${config.home}.\n`);
    return Promise.resolve(0);
  },
};

function showNodes({ nodes }: Config): string {
  const names = Object.entries(nodes).map(([name, { kind }]) => `${name} (${kind})`);
  return `${count(names.length, 'node')}, ${names.join(', ')}`;
}
