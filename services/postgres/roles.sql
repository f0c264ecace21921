-- roles.sql - who may do what in the platform's database (design 8.7). Run by psql as a superuser, in that database;
-- may be run again at any time.
--
-- Each service has a schema, a role SCHEMA_owner that makes and changes its tables (only `SERVICE migrate` logs in as
-- it), and a role SCHEMA that reads and writes their rows. No role can look into another schema, so the border between
-- services is kept by PostgreSQL and not by good manners.
\set ON_ERROR_STOP on
set client_min_messages = warning;

do $$
declare
    -- One line per service; the schema is the service's name with _ for -.
    services constant text[] := array[
        'auth',
        'billing',
        'developer_apps',
        'store_data',
        'webhooks'
    ];
    service text;
    owner text;
    role text;
begin
    -- Two that run this at once would trip over each other's rows in the catalogue.
    perform pg_advisory_xact_lock(hashtextextended('selorax roles', 0));

    execute format('revoke all on database %I from public', current_database());
    revoke all on schema public from public;

    foreach service in array services loop
        owner := service || '_owner';
        foreach role in array array[owner, service] loop
            if not exists (select from pg_roles where rolname = role) then
                execute format('create role %I', role);
            end if;
            execute format('alter role %I login nosuperuser nocreatedb nocreaterole noreplication nobypassrls', role);
            execute format('grant connect on database %I to %I', current_database(), role);
            execute format('alter role %I set search_path = %I', role, service);
            execute format('alter role %I set client_connection_check_interval = %L', role, '500ms');
        end loop;

        execute format('create schema if not exists %I', service);
        execute format('alter schema %I owner to %I', service, owner);
        execute format('grant usage on schema %I to %I', service, service);
        execute format('alter default privileges for role %I revoke execute on functions from public', owner);
        execute format('alter default privileges for role %I in schema %I '
                       'grant select, insert, update, delete on tables to %I', owner, service, service);
        execute format('alter default privileges for role %I in schema %I '
                       'grant usage, select on sequences to %I', owner, service, service);
        execute format('alter default privileges for role %I in schema %I '
                       'grant execute on functions to %I', owner, service, service);

        -- A little below STATEMENT_WAIT_MS (libshared/bounds.h): a slow statement is cancelled by the server and costs no
        -- connection. A transaction that its worker left alone, killed or stopped, soon gives back its locks.
        execute format('alter role %I set statement_timeout = %L', service, '1900ms');
        execute format('alter role %I set lock_timeout = %L', service, '1500ms');
        -- Statements are prepared once and written so that one plan is right for all values: none is planned again for the
        -- values of a call, which costs as much as many statements do and can choose a scan where it believes the figures
        -- of a table that has grown since.
        execute format('alter role %I set plan_cache_mode = force_generic_plan', service);
        -- webhooks has queues, which are empty when a plan is made and hold a million rows before statistics say so.
        if service = 'webhooks' then
            execute format('alter role %I set enable_seqscan = off', service);
        end if;
        execute format('alter role %I set idle_in_transaction_session_timeout = %L', service, '2s');
    end loop;
end
$$;
