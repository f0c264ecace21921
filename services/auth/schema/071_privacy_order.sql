-- What a customer asked first is done, not only told, before the next is told: after an erasing nobody can be reached.
drop index privacy_request_untold;
create index privacy_request_open on privacy_request (store_id, customer_id, privacy_request_id) where completed_at is null;
