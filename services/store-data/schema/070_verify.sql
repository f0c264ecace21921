-- What keeps a recount, and a look at the tables after many rows came at once, within the time of a statement.

-- Uses of a discount, whoever they were by: a recount walks the discounts, and not all uses of a store for each.
create index discount_use_discount on discount_use (store_id, discount_id);

-- A fifth of the rows that autovacuum will look at later: enough for plans, and six tables in a moment.
alter function look_again() set default_statistics_target = 20;
