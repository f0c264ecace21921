-- How many pushes of each app are under way is asked with every claim.
create index app_push_under_way on app_push (busy_until) where busy_until is not null;
