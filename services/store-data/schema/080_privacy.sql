-- What erasing a person needs to find all that is theirs (redaction.c).

-- How they could be reached, until the erasing is done: the customer's row is emptied first, and guests' orders, uses of codes,
-- events and kept answers are known by these alone. phone: the last ten digits, which are the same however it was written.
alter table redaction add column phone text;
alter table redaction add column email text;
-- A whole store is gone through again until nothing was found: what was being written came after the first pass.
alter table redaction add column pass integer not null default 0;
alter table redaction add column found bigint not null default 0;       -- in this pass

create function phone_tail(phone text) returns text language sql immutable parallel safe as $$
    select case when length(d) >= 10 then right(d, 10) end
      from (select regexp_replace(translate(phone, '০১২৩৪৫৬৭৮৯', '0123456789'), '[^0-9]', '', 'g') as d) as digits
$$;

-- Whether a text has this phone (as phone_tail makes it) or this e-mail (in small letters) anywhere.
create function mentions_person(words text, phone text, email text) returns boolean language sql immutable parallel safe as $$
    select coalesce(strpos(translate(words, '০১২৩৪৫৬৭৮৯ ()-.', '0123456789'), phone) > 0, false)
        or coalesce(strpos(lower(words), email) > 0, false)
$$;

-- Orders of nobody: whose they are is known by the phone or the e-mail they go to.
create index store_order_guest_phone on store_order (store_id, phone_tail(shipping_address ->> 'phone'), order_id)
    where user_id is null and shipping_address ->> 'phone' is not null;
create index store_order_guest_email on store_order (store_id, lower(btrim(shipping_address ->> 'email')), order_id)
    where user_id is null and shipping_address ->> 'email' is not null;
create index discount_use_of_phone on discount_use (store_id, phone_tail(phone)) where phone is not null;
create index discount_use_of_email on discount_use (store_id, lower(email)) where email is not null;

-- What becomes of a kept answer: null when it goes. An answer about an order or a customer stays one, without the person. Of
-- other answers, a whole store keeps none (customer 0), and a customer's erasing none that is about them or mentions them.
create function answer_erased(store bigint, customer bigint, phone text, email text, sealed boolean, body bytea)
    returns bytea language plpgsql stable as $$
declare
    answer jsonb;
    subject jsonb;
begin
    if sealed then
        return null;
    end if;
    begin
        answer := convert_from(body, 'UTF8')::jsonb;
    exception when data_exception then
        return case when customer = 0 then null else body end;
    end;
    subject := answer -> 'data';
    if jsonb_typeof(subject) = 'object' and subject ? 'user_id' then
        if customer = 0 or subject ->> 'user_id' = customer::text
           or subject ->> 'user_id' is null and mentions_person(answer::text, phone, email) then
            return convert_to(jsonb_set(answer, '{data}', person_free(subject))::text, 'UTF8');
        end if;
        return body;
    end if;
    if customer = 0 or mentions_person(answer::text, phone, email) or exists (
           select from jsonb_array_elements(case jsonb_typeof(subject) when 'array' then subject else jsonb_build_array(subject) end)
                      as item (about)
            where about ->> 'resource_type' = 'customer' and about ->> 'resource_id' = customer::text
               or about ->> 'customer_id' = customer::text or about ->> 'user_id' = customer::text
               or about ->> 'resource_type' = 'order' and exists (
                      select from store_order as o where o.store_id = store and o.user_id = customer
                         and o.order_id::text = about ->> 'resource_id')) then
        return null;
    end if;
    return body;
end
$$;
