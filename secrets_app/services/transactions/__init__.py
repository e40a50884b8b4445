"""Carry every use case to the database and back.

A use case is one function of `services/`. It is one transaction, and leaves at least one audit
event in it. Four modules carry it; none of them knows what is stored.

1. `retry.retried` is around the whole function. A transaction that lost against another one
   (serialization failure, deadlock) is undone by the database, so it is run again, a few times.

2. `idempotency.claim_key` comes before it where the request has an `Idempotency-Key`. It claims the
   key, and the use case completes the claim in its own transaction. A repeat of the request gets
   the kept answer.

3. `audited.audited` is around what may fail. A failure rolls the transaction back, and its event
   with it, so the event of the failure is written in a transaction of its own.
   `audited_transaction` opens the transaction as well.

4. `group_commit` is at the end of the common case. A write or a read that is a single statement
   with its event does not commit alone: `commit_statement` and `commit_events` commit what concurrent
   requests brought together, and return when that commit is done. Within a transaction they run at
   once, and that transaction commits.

Where it stands among the layers: `audited` and `idempotency` record events, so they import
`services.audit`. `group_commit` and `retry` are below it, since recording an event commits one. So
this file imports nothing: each function is imported from its module."""
