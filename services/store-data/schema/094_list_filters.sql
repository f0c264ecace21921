-- What lists are filtered by, in the order they have.

create index bulk_job_status on bulk_job (store_id, app_id, status, job_id);
create index bulk_job_resource on bulk_job (store_id, app_id, resource, job_id);
