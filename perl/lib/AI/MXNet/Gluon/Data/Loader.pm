package AI::MXNet::Gluon::Data::DataLoader;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Gluon::Arguments;
use AI::MXNet::Gluon::Data::Workers;
use Scalar::Util qw(blessed weaken);
use Mouse;
extends 'AI::MXNet::Gluon::Arguments';

# Batches of the items of a set.

use overload
    '<>' => sub { return $_[0]->next },
    '@{}' => sub { return $_[0]->list },
    fallback => 1;

has dataset => (is => 'ro', required => 1);
has batch_size => (is => 'ro', isa => 'Maybe[Int]');
has shuffle => (is => 'ro', isa => 'Bool', default => 0);
has [qw(sampler batch_sampler)] => (is => 'rw');
has last_batch => (is => 'ro', isa => 'Maybe[Str]');
has batchify_fn => (is => 'ro', isa => 'Maybe[CodeRef]');
has num_workers => (is => 'ro', isa => 'Int', default => 0);
has _pass => (is => 'rw', init_arg => undef);
sub python_constructor_arguments { return [qw(dataset batch_size)] }

sub BUILD
{
    my $self = shift;
    my $set = $self->dataset;
    AI::MXNet::Keshi::fail("DataLoader: dataset got $set, want a list, an array or a set with len and at")
        if ref $set ne 'ARRAY'
        and not(blessed $set and $set->can('len'));
    if (defined $self->batch_sampler) {
        AI::MXNet::Keshi::fail(
            'batch_size, shuffle, sampler and last_batch must not be specified if batch_sampler is ' . 'specified.')
            if defined $self->batch_size
            or $self->shuffle
            or defined $self->sampler
            or defined $self->last_batch;
        return;
    }
    AI::MXNet::Keshi::fail('batch_size must be specified unless batch_sampler is specified')
        if not defined $self->batch_size;
    AI::MXNet::Keshi::fail('shuffle must not be specified if sampler is specified')
        if $self->shuffle and defined $self->sampler;
    my $order = $self->shuffle ? 'RandomSampler' : 'SequentialSampler';
    $self->sampler("AI::MXNet::Gluon::Data::$order"->new($self->_items)) if not defined $self->sampler;
    $self->batch_sampler(
        AI::MXNet::Gluon::Data::BatchSampler->new($self->sampler, $self->batch_size, $self->last_batch // 'keep'));
    return;
}

sub _items { my $set = $_[0]->dataset; return ref $set eq 'ARRAY' ? scalar @$set : $set->len }
sub len { return $_[0]->batch_sampler->len }

# -- one batch

sub _is_array { return blessed $_[0] && $_[0]->isa('AI::MXNet::NDArray') }

# Arrays are stacked, lists part by part; numbers become an array.
sub _batchify
{
    my ($items, $dtypes) = @_;
    my $first = $items->[0];
    return AI::MXNet::NDArray->stack(@$items, { axis => 0, num_args => scalar @$items }) if _is_array($first);
    if (ref $first eq 'ARRAY') {
        return [
            map {
                my $part = $_;
                _batchify([map { $_->[$part] } @$items], [$dtypes->[$part]])
            } 0 .. $#$first
        ];
    }
    my $dtype = $dtypes->[0] // (blessed $first && $first->isa('PDL') ? $first->dtype : undef) // 'int32';
    return AI::MXNet::NDArray->array(PDL->pdl($items), dtype => $dtype)
        if blessed $first and $first->isa('PDL');
    return AI::MXNet::NDArray->array($items, dtype => $dtype);
}

sub _load
{
    my ($self, $indices) = @_;
    my ($set, $batchify) = ($self->dataset, $self->batchify_fn);
    if (not $batchify and blessed $set) {
        return AI::MXNet::Gluon::Data::labels($set, $indices)
            if _is_array($set)
            or $set->isa('PDL') && $set->ndims == 1;
        return $set->batch($indices) if $set->can('batch');
    }
    my @items = map { ref $set eq 'ARRAY' ? $set->[$_] : $set->at($_) } @$indices;
    return $batchify->(\@items) if $batchify;
    my $label = blessed $set && $set->can('label') ? $set->label : undef;
    my $dtype = blessed $label && $label->can('dtype') ? $label->dtype : undef;
    return _batchify(\@items, [undef, $dtype]);
}

# -- passes

# Whether a batch is had so quickly that handing it over from another process would cost more.
sub _is_ready
{
    my $self = shift;
    my $set = $self->dataset;
    return $self->num_workers < 1
        || !$self->batchify_fn && blessed $set && (!$set->can('at') || $set->can('batch') || _is_array($set));
}

sub _begin
{
    my $self = shift;
    my @batches = @{ $self->batch_sampler };

    # The pass belongs to the loader, and must not keep it.
    weaken(my $loader = $self);
    my $load = sub { return $loader->_load(@_) };
    $self->_pass(
        $self->_is_ready
        ? sub { my $indices = shift @batches; return $indices && $load->($indices) }
        : AI::MXNet::Gluon::Data::Workers::pass($self->num_workers, \@batches, $load)
    );
    return;
}

# The next batch, undef at the end; after that a new pass begins.
sub next    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    $self->_begin if not $self->_pass;
    my $batch = $self->_pass->();
    $self->_pass(undef) if not defined $batch;
    return $batch;
}

sub reset { $_[0]->_pass(undef); return }    ## no critic (ProhibitBuiltinHomonyms)

sub list
{
    my $self = shift;
    $self->reset;
    my @batches;
    while (defined(my $batch = $self->next)) {
        push @batches, $batch;
    }
    return \@batches;
}

__PACKAGE__->register('AI::MXNet::Gluon::Data');

1;

__END__

=head1 NAME

AI::MXNet::Gluon::Data::Loader - batches of the items of a set

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    my $set = gluon->data->ArrayDataset(nd->arange(stop => 20)->reshape([10, 2]), nd->arange(stop => 10));
    my $loader = gluon->data->DataLoader($set, batch_size => 4, shuffle => 1, last_batch => 'discard', num_workers => 2);
    while (defined(my $batch = <$loader>)) {
        my ($data, $label) = @$batch;
        print "@{ $data->shape }\n";
    }
    my @whole_pass = @$loader;

=head1 DESCRIPTION

    gluon->data->DataLoader($dataset, batch_size => $n, shuffle => 0, sampler =>, last_batch => 'keep',
        batch_sampler =>, batchify_fn =>, num_workers => 0)

The set is an L<AI::MXNet::Gluon::Data::Set>, an array or a PDL. Items are stacked: arrays into an array with one more dimension, numbers
into an array with the dtype of the set's C<label>, or int32; lists part by part. C<batchify_fn> makes a batch of a list of items otherwise.
C<E<lt>$loaderE<gt>> is the next batch and undef at the end of a pass, C<@$loader> a whole pass, C<len> the number of batches, C<reset>
gives up the pass.

C<shuffle> uses Perl's C<rand>. The samplers are described in L<AI::MXNet::Gluon::Data::Sampler>; a C<batch_sampler> stands for all of
C<batch_size>, C<shuffle>, C<sampler> and C<last_batch>.

=head2 Workers

With C<num_workers>, processes read ahead: see L<AI::MXNet::Gluon::Data::Workers>. Batches come in the same order and with the same
contents, however many there are. Sets that hand out whole batches, such as an C<ArrayDataset>, are faster than any process could
be, and are read without.

=cut
