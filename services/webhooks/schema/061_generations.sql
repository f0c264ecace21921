-- What an app may read is of its present install alone (protocols 8).

-- The number behind which the log of the present generation begins; null until that generation is announced. Earlier
-- numbers are of earlier generations, so that no row of the log has to say whose it is.
alter table installation add column log_after bigint;
update installation as i set log_after = coalesce((select max(seq) from log where log.installation_id = i.installation_id and
                                                   log.generation < i.generation), 0);
alter table log drop column generation;

-- A replay of an earlier generation stops by itself, and is not to stand in the way of the next one's until then.
drop index replay_running;
create unique index replay_running on replay (installation_id, generation) where state = 'running';
