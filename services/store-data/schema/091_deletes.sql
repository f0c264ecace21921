-- Products, variants, discounts, customers and orders are marked as deleted and stay: what is kept of them (counts, stock, who has
-- bought) follows that mark. Nothing takes the rows away, and so that nothing ever does, the service may not.
do $$
begin
    execute format('revoke delete on product, sku, product_stock, discount, customer, store_order from %I', current_schema());
end
$$;
