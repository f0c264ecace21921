-- Deeds of which another service tells (contract K.6): event_id is its outbox row's, so that one told twice is kept once.
alter table audit add column event_id uuid;
create unique index audit_event on audit (event_id) where event_id is not null;
