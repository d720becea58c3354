-- Which life of the source's server `confirmed` was written in. A crash forgets transactions that were rolled back, or committed
-- without waiting for the disk, and gives their ids out again: a position from before it may count new transactions as seen.
alter table pgrep.link_state add column confirmed_in text;
