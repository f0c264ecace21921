-- Who has seen the credentials of a custom app, which outlive a member's time in the store: whoever made the present
-- secret, and whoever made the present token. null: the app's creator, 0: an operator.
alter table app
    add column secret_made_by bigint,
    add column token_made_by  bigint;
