-- The outbox is a queue: rows come and go at its two ends. Its dead rows are cleared by their number, not by a share of a
-- table that is empty most of the time, or each look at the first rows would step over them.
alter table outbox set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
                        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000,
                        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 1000000000);
