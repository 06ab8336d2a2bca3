package AI::MXNet::IO::Combined;
use 5.014;
use strict;
use warnings;

use Mouse;
extends 'AI::MXNet::DataIter';

# Iterators over iterators: passes of another length, and several side by side, a batch ahead.

has current_batch => (is => 'rw', init_arg => undef);

sub next    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    return $self->iter_next ? $self->current_batch : undef;
}
sub getdata { return $_[0]->current_batch->data }
sub getlabel { return $_[0]->current_batch->label }
sub getindex { return $_[0]->current_batch->index }
sub getpad { return $_[0]->current_batch->pad }

package AI::MXNet::ResizeIter;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::IO::Combined';
has data_iter => (is => 'ro', isa => 'AI::MXNet::DataIter', required => 1);
has size => (is => 'ro', isa => 'Int', required => 1);
has reset_internal => (is => 'ro', isa => 'Bool', default => 1);
has cur => (is => 'rw', isa => 'Int', init_arg => undef, default => 0);

around BUILDARGS => sub {
    my ($orig, $class, @args) = @_;
    @args = (data_iter => shift @args, size => @args) if ref $args[0];
    return $class->$orig(@args);
};

sub BUILD { my $self = shift; $self->batch_size($self->data_iter->batch_size); return }
sub provide_data { return $_[0]->data_iter->provide_data }
sub provide_label { return $_[0]->data_iter->provide_label }

sub reset    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    $self->cur(0);
    $self->data_iter->reset if $self->reset_internal;
    return;
}

sub iter_next
{
    my $self = shift;
    return 0 if $self->cur == $self->size;
    my $batch = $self->data_iter->next;
    if (not defined $batch) {
        $self->data_iter->reset;
        $batch = $self->data_iter->next;
    }
    $self->current_batch($batch);
    $self->cur($self->cur + 1);
    return 1;
}

package AI::MXNet::PrefetchingIter;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use AI::MXNet::Keshi;
extends 'AI::MXNet::IO::Combined';
has iters => (is => 'ro', isa => 'ArrayRef[AI::MXNet::DataIter]', required => 1);
has [qw(rename_data rename_label)] => (is => 'ro', isa => 'Maybe[ArrayRef[HashRef]]');
has _ahead => (is => 'rw', init_arg => undef);

around BUILDARGS => sub {
    my ($orig, $class, @args) = @_;
    unshift @args, 'iters' if ref $args[0];
    my %given = @args;
    $given{iters} = [$given{iters}] if Scalar::Util::blessed $given{iters};
    return $class->$orig(%given);
};

sub BUILD
{
    my $self = shift;
    AI::MXNet::Keshi::fail('PrefetchingIter: got no iterators') if not @{ $self->iters };
    $self->batch_size($self->provide_data->[0]->shape->[0]);
    $self->_fetch;
    return;
}

sub _fetch
{
    my $self = shift;
    $self->_ahead([map { scalar $_->next } @{ $self->iters }]);
    return;
}

sub _described
{
    my ($self, $method, $names) = @_;
    my $i = 0;
    return [
        map {
            my $rename = $names ? $names->[$i++] : {};
            map { AI::MXNet::DataDesc->new(%$_, name => $rename->{ $_->name } // $_->name) } @{ $_->$method }
        } @{ $self->iters }
    ];
}

sub provide_data { my $self = shift; return $self->_described(provide_data => $self->rename_data) }
sub provide_label { my $self = shift; return $self->_described(provide_label => $self->rename_label) }

sub reset    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    $_->reset for @{ $self->iters };
    $self->_fetch;
    return;
}

sub iter_next
{
    my $self = shift;
    my @batches = @{ $self->_ahead };
    my @ended = grep { not defined } @batches;
    AI::MXNet::Keshi::fail('Number of entry mismatches between iterators') if @ended and @ended != @batches;
    return 0 if @ended;
    my ($first) = @batches;
    $self->current_batch(
        AI::MXNet::DataBatch->new(
            data => [map { @{ $_->data } } @batches],
            label => [map { @{ $_->label // [] } } @batches],
            pad => $first->pad,
            index => $first->index,
        )
    );
    $self->_fetch;
    return 1;
}

1;

__END__

=head1 NAME

AI::MXNet::IO::Combined - iterators over iterators

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $rows = sub { mx->io->NDArrayIter(nd->arange(stop => 6), batch_size => 2) };
    my $longer = mx->io->ResizeIter($rows->(), 5);
    print scalar(@{ $longer }), "\n";                    # 5
    my $pair = mx->io->PrefetchingIter([$rows->(), $rows->()], rename_data => [{ data => 'left' }, { data => 'right' }]);
    print "@{ $pair->provide_data }\n";

=head1 DESCRIPTION

=over 4

=item AI::MXNet::ResizeIter->new($iter, $size, reset_internal => 1)

Passes of C<$size> batches, whatever the length of the iterator's own. C<< reset_internal => 0 >> goes on where the pass before ended.

=item AI::MXNet::PrefetchingIter->new(\@iters, rename_data => \@hashes, rename_label => \@hashes)

The arrays of several iterators in one batch, which is fetched when the one before it is handed out.

=back

=cut
