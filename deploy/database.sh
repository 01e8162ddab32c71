# Creates the role that Postern connects as. The image of PostgreSQL runs this once, while the cluster is empty. The role
# owns one database and has no other rights; only you use the superuser.
psql --set=ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv password POSTERN_PASSWORD
create role postern login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password :'password';
create database postern owner postern;
revoke all on database postern from public;
SQL
