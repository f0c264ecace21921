-- A custom app takes no payments: it cannot have the scope billing any more, nor keep it. The scopes of a text stand in one
-- order, in which billing is the last.
update app set requested_scopes = regexp_replace(requested_scopes, ' ?billing$', '')
    where home_store_id is not null and requested_scopes ~ '(^| )billing$';
update installation set granted_scopes = regexp_replace(granted_scopes, ' ?billing$', '') from app
    where app.app_id = installation.app_id and home_store_id is not null and granted_scopes ~ '(^| )billing$';
