-- Which time an app's developer has said who bears the fees: what was said earlier and comes later is dropped.
alter table app_terms add column payer_version integer not null default 0;
