package AI::MXNet::NDArrayIter;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Logging;
use List::Util ();
use Scalar::Util qw(blessed);
use Mouse;
use Mouse::Util::TypeConstraints;
extends 'AI::MXNet::DataIter';

# Batches of the rows of arrays.

has [qw(data label)] => (is => 'rw');
has '+batch_size' => (default => 1);
has shuffle => (is => 'ro', isa => 'Bool', default => 0);
has last_batch_handle => (is => 'ro', isa => enum([qw(pad discard roll_over)]), default => 'pad');
has data_name => (is => 'ro', isa => 'Str', default => 'data');
has label_name => (is => 'ro', isa => 'Str', default => 'softmax_label');
has [qw(num_data num_source cursor)] => (is => 'rw', isa => 'Int', init_arg => undef);
has _order => (is => 'rw', init_arg => undef);

my %named = map { ($_ => 1) } qw(data label batch_size shuffle last_batch_handle data_name label_name);

# Data, label, then names; or names only.
around BUILDARGS => sub {
    my ($orig, $class, @args) = @_;
    my %given;
    for my $name (qw(data label)) {
        last if not @args or defined $args[0] and not ref $args[0];
        $given{$name} = shift @args;
    }
    AI::MXNet::Keshi::fail('NDArrayIter: got an odd number of named arguments') if @args % 2;
    %given = (%given, @args);
    for my $name (keys %given) {
        AI::MXNet::Keshi::fail("NDArrayIter: no such named argument '$name', want one of " . join ', ',
            sort keys %named)
            if not $named{$name};
    }
    return $class->$orig(%given);
};

# Pairs of a name and an array.
sub _named_arrays
{
    my ($data, $name, $may_be_empty) = @_;
    if (not defined $data) {
        AI::MXNet::Keshi::fail('data must be defined or allow_empty set to true') if not $may_be_empty;
        return [];
    }
    my @pairs;
    if (ref $data eq 'ARRAY') {
        AI::MXNet::Keshi::fail('data must not be empty or allow_empty set to true') if not @$data and not $may_be_empty;
        @pairs = @$data == 1 ? ([$name => $data->[0]]) : map { ["_${_}_$name" => $data->[$_]] } 0 .. $#$data;
    } elsif (blessed $data and $data->isa('Hash::Ordered')) {
        @pairs = map { [$_ => $data->get($_)] } $data->keys;
    } elsif (ref $data eq 'HASH') {
        AI::MXNet::Logging->warning('%s',
            'data in the form of a hash is obsolete, as it has no order; use Hash::Ordered');
        @pairs = map { [$_ => $data->{$_}] } sort keys %$data;
    } else {
        @pairs = ([$name => $data]);
    }
    return [map { [$_->[0], _is_array($_->[1]) ? $_->[1] : AI::MXNet::NDArray->array($_->[1])] } @pairs];
}

sub _is_array { return blessed $_[0] && $_[0]->isa('AI::MXNet::NDArray') }

sub BUILD
{
    my $self = shift;
    $self->data(_named_arrays($self->data, $self->data_name));
    $self->label(_named_arrays($self->label, $self->label_name, 1));
    my @all = (@{ $self->data }, @{ $self->label });
    my $rows = $all[0][1]->shape->[0];
    my ($odd) = grep { $_->[1]->shape->[0] != $rows } @all;
    AI::MXNet::Keshi::fail("size of data dimension 0 of $odd->[0] is " . $odd->[1]->shape->[0] . ", want $rows")
        if $odd;
    AI::MXNet::Keshi::fail("size of data dimension 0 $rows < batch_size @{[$self->batch_size]}")
        if $rows < $self->batch_size;
    AI::MXNet::Keshi::fail('NDArrayIter: batch_size got ' . $self->batch_size . ', want at least 1')
        if $self->batch_size < 1;

    if ($self->shuffle) {
        my $order = AI::MXNet::NDArray->array(
            [List::Util::shuffle(0 .. $rows - 1)],
            dtype => 'int32',
            ctx => $all[0][1]->context
        );
        for my $pair (@all) {
            my $stype = $pair->[1]->stype;
            my $dense = $stype eq 'default' ? $pair->[1] : $pair->[1]->tostype('default');
            my $taken = AI::MXNet::NDArray->take($dense, $order->as_in_context($dense->context));
            $pair->[1] = $stype eq 'default' ? $taken : $taken->tostype($stype);
        }
    }
    $self->num_data($self->last_batch_handle eq 'discard' ? $rows - $rows % $self->batch_size : $rows);
    $self->num_source(scalar @all);
    $self->hard_reset;
    return;
}

sub hard_reset
{
    my $self = shift;
    $self->cursor(-$self->batch_size);
    return;
}

sub reset    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    my $begin = -$self->batch_size;
    $begin += $self->cursor % $self->num_data % $self->batch_size
        if $self->last_batch_handle eq 'roll_over' and $self->cursor > $self->num_data;
    $self->cursor($begin);
    return;
}

sub iter_next
{
    my $self = shift;
    $self->cursor($self->cursor + $self->batch_size);
    return $self->cursor < $self->num_data ? 1 : 0;
}

# How many rows the last batch takes from the beginning.
sub _over
{
    my $self = shift;
    my $over = $self->cursor + $self->batch_size - $self->num_data;
    return $over > 0 ? $over : 0;
}

sub _rows
{
    my ($self, $array) = @_;
    AI::MXNet::Keshi::fail('DataIter needs reset.') if $self->cursor >= $self->num_data;
    my $over = $self->_over;
    return $array->slice([$self->cursor, $self->cursor + $self->batch_size - 1]) if not $over;
    my $stype = $array->stype;
    $array = $array->tostype('default') if $stype ne 'default';
    my $whole = AI::MXNet::NDArray->concatenate(
        [$array->slice([$self->cursor, $self->num_data - 1]), $array->slice([0, $over - 1])]);
    return $stype eq 'default' ? $whole : $whole->tostype($stype);
}

sub getdata
{
    my $self = shift;
    return [map { $self->_rows($_->[1]) } @{ $self->data }];
}

sub getlabel
{
    my $self = shift;
    return [map { $self->_rows($_->[1]) } @{ $self->label }];
}
sub getpad { my $self = shift; return $self->last_batch_handle eq 'pad' ? $self->_over : 0 }

sub _describe
{
    my ($self, $pairs) = @_;
    return [
        map {
            my ($rows, @rest) = @{ $_->[1]->shape };
            AI::MXNet::DataDesc->new(name => $_->[0], shape => [$self->batch_size, @rest], dtype => $_->[1]->dtype)
        } @$pairs
    ];
}

sub provide_data { my $self = shift; return $self->_describe($self->data) }
sub provide_label { my $self = shift; return $self->_describe($self->label) }

__PACKAGE__->meta->make_immutable;
no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::NDArrayIter - batches of the rows of arrays

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $iter = mx->io->NDArrayIter(
        data => nd->arange(stop => 14)->reshape([7, 2]),
        label => nd->arange(stop => 7),
        batch_size => 3,
        shuffle => 1,
        last_batch_handle => 'discard',
    );
    while (defined(my $batch = <$iter>)) {
        print $batch->data->[0]->aspdl, "\n";
    }

=head1 DESCRIPTION

C<data> and C<label> are each an array, a PDL, a list of these (named C<_0_data>, C<_1_data> ...), or a C<Hash::Ordered> of names
and arrays; a single one is named C<data> or C<softmax_label> (C<label_name>). What is no array becomes one of float32. Rows are
shuffled once, by Perl's C<rand>.

C<last_batch_handle> says what becomes of rows that do not fill a batch: with C<pad> the batch is filled from the beginning, and C<pad> of
the batch says with how many rows; with C<discard> they are left out; with C<roll_over> the batch is filled from the beginning, and the
next pass begins behind what that used. C<hard_reset> begins with the first row in any case.

Arrays of a batch are views of the data, where they need not be put together.

=cut
