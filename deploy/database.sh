# Run once by the image of PostgreSQL, while the cluster is empty: the role that Postern works as. It owns one database
# and is otherwise nobody; the superuser is for you alone.
psql --set=ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv password POSTERN_PASSWORD
create role postern login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password :'password';
create database postern owner postern;
revoke all on database postern from public;
SQL
