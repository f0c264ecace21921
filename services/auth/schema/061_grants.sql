-- How all tokens of an installation end at once, and which consent an installation rests on.

-- tokens_from: of the installation's tokens those with a lower id are dead, however many there are: one row is written,
-- not one for each token. Exact, because whoever makes a token holds the installation's row, and so do those that end
-- them. consented_at: when the merchant agreed to the present install; ended_at: when one ended last, which a reinstall
-- does not clear. A code from before either of them installs nothing.
alter table installation
    add column tokens_from  bigint not null default 0,
    add column consented_at timestamptz,
    add column ended_at     timestamptz;
update installation set consented_at = installed_at, ended_at = uninstalled_at;
alter table installation alter column consented_at set not null;

-- No statement looks for tokens that are not revoked; a custom app's present one is the last of its access tokens.
drop index token_installation_id_idx;
create index token_of_installation on token (installation_id, token_id) where kind = 'access';
