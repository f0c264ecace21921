-- The last event that there was when a person had been erased: when it has been published, so has all that told of them, and
-- webhooks has heard whom to forget (redaction.c).
alter table redaction add column published_to bigint;
