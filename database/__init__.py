"""PostgreSQL: embedded server, connection, migrations, encryption, repositories. All SQL outside dbt lives here."""
