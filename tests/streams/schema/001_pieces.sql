-- What a service would keep of an upload: its pieces, each once.
create table upload (
    upload_id bigint generated always as identity primary key,
    run       text not null
);

create table piece (
    upload_id bigint not null references upload,
    seq       bigint not null,
    bytes     bytea not null,
    primary key (upload_id, seq)
);

-- Every call a worker took, for the tests to look at.
create table taken (
    id     bigint generated always as identity primary key,
    run    text not null,
    place  bigint not null,
    again  boolean not null,
    worker bigint not null
);
