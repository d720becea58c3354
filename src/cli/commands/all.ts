import type { Command } from '../command.ts';
import { addTableCommand } from './add-table.ts';
import { configCheck, configShow } from './config.ts';
import { conflictsList, conflictsRestore, conflictsShow } from './conflicts.ts';
import { copy } from './copy.ts';
import { doctor } from './doctor.ts';
import { errorsDiscard, errorsList, errorsShow } from './errors.ts';
import { forgetNodeCommand } from './forget-node.ts';
import { init } from './init.ts';
import { removeTableCommand } from './remove-table.ts';
import { retryErrorsCommand } from './retry-errors.ts';
import { run } from './run.ts';
import { statusCommand } from './status.ts';
import { torture } from './torture.ts';
import { uninstallCommand } from './uninstall.ts';
import { wait } from './wait.ts';

/** Every command, in the order of the help: that in which a new user needs them. */
export const commands: readonly Command[] = [
  init,
  addTableCommand,
  run,
  statusCommand,
  wait,
  copy,
  removeTableCommand,
  forgetNodeCommand,
  errorsList,
  errorsShow,
  errorsDiscard,
  retryErrorsCommand,
  conflictsList,
  conflictsShow,
  conflictsRestore,
  doctor,
  configShow,
  configCheck,
  torture,
  uninstallCommand,
];
