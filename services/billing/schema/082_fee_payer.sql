-- Who bears an app's fees its developer says alone. Where one has never said it, nobody has: an operator may have said so here.
update app_terms set fee_payer = 'developer' where payer_version = 0 and fee_payer <> 'developer';
