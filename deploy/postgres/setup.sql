-- The role that gateways have: rows, and no tables. Run by the owner after `tamis registers migrate`.
CREATE ROLE gateway LOGIN PASSWORD 'CHANGE ME: the one in registers.url';
GRANT USAGE ON SCHEMA tamis TO gateway;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA tamis TO gateway;
ALTER DEFAULT PRIVILEGES IN SCHEMA tamis GRANT SELECT, INSERT, UPDATE ON TABLES TO gateway;

-- Where the ledger is on the server too, after `tamis ledger migrate`.
-- GRANT USAGE ON SCHEMA tamis_ledger TO gateway;
-- GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA tamis_ledger TO gateway;
