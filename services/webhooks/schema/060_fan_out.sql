-- An event in a store of a thousand apps looks for each app's subscriptions, and must not pass over those of all the others
-- each time: the index leads to the installation and its generation. A merchant's subscriptions have neither.
drop index subscription_fan_out;
create index subscription_fan_out on subscription (store_id, topic, installation_id, generation)
    where status in ('active', 'ending', 'ended');

-- A developer's list of those that are switched off must not pass over all that are on.
drop index subscription_of_app;
create index subscription_of_app on subscription (app_id, status, subscription_id desc) where status in ('active', 'inactive');
