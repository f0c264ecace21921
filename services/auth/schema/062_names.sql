-- Two custom apps of one creator may not have names that people read as the same: blanks at the ends, upper and lower
-- case, and other forms of a letter (Unicode's compatibility forms, as full-width ones) do not count.
drop index app_custom_name;
create unique index app_custom_name on app (owner_account_id, lower(btrim(normalize(name, NFKC))))
    where home_store_id is not null and deleted_at is null;
