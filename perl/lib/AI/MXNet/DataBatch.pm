package AI::MXNet::DataBatch;
use 5.014;
use strict;
use warnings;
use Mouse;

# What an iterator gives: arrays and labels, and how many rows at the end are padding.

has data => (is => 'rw', isa => 'Maybe[ArrayRef]', required => 1);
has label => (is => 'rw', isa => 'Maybe[ArrayRef]');
has [qw(pad index bucket_key provide_data provide_label)] => (is => 'rw');

__PACKAGE__->meta->make_immutable;
no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::DataBatch - one batch of data

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $batch = mx->io->DataBatch(data => [nd->ones([2, 3])], label => [nd->zeros([2])], pad => 0);
    print $batch->data->[0]->aspdl, $batch->pad, "\n";

=head1 DESCRIPTION

C<data> and C<label> are lists of arrays, C<pad> the number of rows at the end that are padding, C<index> the numbers of the rows,
C<bucket_key> the bucket, C<provide_data> and C<provide_label> descriptions, where they differ from the iterator's.

=cut
