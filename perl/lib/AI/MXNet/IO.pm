package AI::MXNet::IO;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::DataDesc;
use AI::MXNet::DataBatch;
use AI::MXNet::DataIter;
use AI::MXNet::NDArrayIter;
use AI::MXNet::IO::Combined;
use AI::MXNet::IO::Files;

# Iterators by their names.

for my $name (qw(DataDesc DataBatch DataIter NDArrayIter ResizeIter PrefetchingIter)) {
    no strict 'refs';
    *$name = sub {
        shift;
        my $class = "AI::MXNet::$name";
        return $class->new(@_);
    };
}

# These take one hash.
for my $name (sort keys %AI::MXNet::IO::Files::class) {
    no strict 'refs';
    *$name = sub {
        my ($self, @args) = @_;
        AI::MXNet::Keshi::fail("$name can only accept keyword arguments")
            if @args > 1
            or @args and ref $args[0] ne 'HASH';
        return $AI::MXNet::IO::Files::class{$name}->new(_kind => $name, %{ $args[0] // {} });
    };
}

1;

__END__

=head1 NAME

AI::MXNet::IO - iterators over batches of data

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $iter = mx->io->NDArrayIter(nd->arange(stop => 20)->reshape([10, 2]), nd->arange(stop => 10), batch_size => 4);
    while (defined(my $batch = <$iter>)) {
        print $batch->data->[0]->aspdl, $batch->label->[0]->aspdl, $batch->pad, "\n";
    }
    $iter->reset;
    my @batches = @{ $iter };

=head1 DESCRIPTION

Every iterator is an L<AI::MXNet::DataIter>: C<E<lt>$iterE<gt>> or C<next> gives an L<AI::MXNet::DataBatch>, and undef at the end of a
pass; C<reset> begins the next pass; C<provide_data> and C<provide_label> describe the arrays with L<AI::MXNet::DataDesc>.

=over 4

=item NDArrayIter(...)

Over arrays in memory: L<AI::MXNet::NDArrayIter>.

=item CSVIter, LibSVMIter, MNISTIter, ImageRecordIter ... ({ ... })

Over files, with one hash of options: L<AI::MXNet::IO::Files>.

=item ResizeIter($iter, $size, reset_internal => 1), PrefetchingIter(\@iters)

Over other iterators: L<AI::MXNet::IO::Combined>.

=back

=cut
