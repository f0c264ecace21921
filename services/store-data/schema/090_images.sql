-- Images are listed and deleted one by one: each has an id.
create sequence image_id_seq;
alter table product_image add column image_id bigint not null default nextval('image_id_seq');
create unique index product_image_id on product_image (store_id, product_id, image_id);
