-- What billing tells when an app's usage comes near its cap.

insert into topic (topic, scope, named, merchant, personal, summary, sample) values
    ('usage.threshold_reached', null, true, false, '{}', 'Half, four fifths or all of a month''s usage cap is used',
     '{"usage_bill_id": 3, "installation_id": 9, "app_id": 4, "percent": 80, "used": 800.0, "capped_amount": 1000.0, "currency": "BDT", "period_start": "2026-01-01T00:00:00.000Z", "period_end": "2026-02-01T00:00:00.000Z"}');
