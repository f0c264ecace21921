-- no transaction
-- Who bears an app's fees its developer says alone. An operator may have told billing something else before this was so: it is
-- told again of every app whose developer has said it (completion.c); of the others billing takes it back itself. A hundred
-- apps at a time, so that no developer waits for this.
do $$
declare
    last uuid := '00000000-0000-0000-0000-000000000000';
begin
    loop
        with next as (
            select creation_id from listing where creation_id > last and app_id is not null and payer_version > 0
             order by creation_id limit 100 for update
        ), put as (
            update listing set payer_version = payer_version + 1, due_at = now() from next
             where listing.creation_id = next.creation_id returning listing.creation_id
        )
        select creation_id into last from put order by creation_id desc limit 1;
        exit when not found;
        commit;
    end loop;
end
$$;
