package AI::MXNet::MXDataIter;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::DataIter;
use Mouse;
extends 'AI::MXNet::DataIter';

# A kind of file tells how many _rows it has, gives _fetch(\@rows), the arrays and labels of those, and describes them. A pass that
# fills its last batch from the beginning is followed by one that begins behind what that used.

has _kind => (is => 'ro', isa => 'Str');
has _options => (is => 'ro', isa => 'HashRef');
has [qw(data_name label_name)] => (is => 'ro', isa => 'Str');
has _round => (is => 'rw', init_arg => undef, default => 1);
has [qw(_at _left _over _pad)] => (is => 'rw', isa => 'Int', init_arg => undef, default => 0);
has [qw(_batch _index _skip)] => (is => 'rw', init_arg => undef);

around BUILDARGS => sub {
    my ($orig, $class, %given) = @_;
    my $kind = delete $given{_kind} // $class;
    return {
        _kind => $kind,
        _options => \%given,
        batch_size => $given{batch_size} // 128,
        data_name => $given{data_name} // 'data',
        label_name => $given{label_name} // 'softmax_label',
    };
};

sub BUILD
{
    my $self = shift;
    $self->_fail('batch_size got ' . $self->batch_size . ', want at least 1') if $self->batch_size < 1;
    $self->_round(AI::MXNet::IO::Files::truth($self->_options->{round_batch} // 1));
    $self->_open($self->_options);
    $self->_left($self->_rows);
    return;
}

sub _fail { return AI::MXNet::Keshi::fail("$_[0]{_kind}: $_[1]") }

sub _shape
{
    my ($self, $name, $default) = @_;
    my $given = $self->_options->{$name} // $default // $self->_fail("$name is missing");
    return [AI::MXNet::IO::Files::list($given)];
}

# -- DataIter

sub reset    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    $self->_at($self->_over);
    $self->_left($self->_rows - $self->_over);
    $self->_over(0);
    $self->_batch(undef);
    return;
}

sub iter_next
{
    my $self = shift;
    return 1 if $self->_skip and defined $self->_batch;
    my ($rows, $missing) = $self->_plan or return 0;
    my $count = $self->batch_size - $missing;
    $self->_over($missing % $self->_rows) if $missing and $self->_round;
    $self->_at($self->_at + $count);
    $self->_left($self->_left - $count);
    $self->_pad($self->_pad_of($missing));
    $self->_index($rows);
    $self->_batch($self->_fetch($rows));
    return 1;
}

# The rows of the next batch, and how many it lacks; nothing at the end.
sub _plan
{
    my $self = shift;
    my ($size, $rows) = ($self->batch_size, $self->_rows);
    my $count = $self->_left < $size ? $self->_left : $size;
    return if not $count or $count < $size and $self->_drops;
    my $missing = $size - $count;
    return ([(map { $self->_at + $_ } 0 .. $count - 1), $self->_round ? map { $_ % $rows } 0 .. $missing - 1 : ()],
        $missing);
}

# Gives the same batch over and over, to measure all but the reading.
sub debug_skip_load
{
    my $self = shift;
    $self->iter_next;
    $self->_skip(1);
    return;
}

sub _drops { return 0 }
sub _pad_of { return $_[1] }
sub getdata { my $self = shift; return [$self->_batch->[0]] }
sub getlabel { my $self = shift; return [$self->_batch->[1]] }
sub getpad { my $self = shift; return $self->_pad }
sub getindex { my $self = shift; return PDL->pdl(PDL::longlong(), $self->_index) }

sub provide_data
{
    my $self = shift;
    return [
        AI::MXNet::DataDesc->new(
            name => $self->data_name,
            shape => [$self->batch_size, @{ $self->_data_shape }],
            dtype => $self->_dtype
        )
    ];
}

sub provide_label
{
    my $self = shift;
    my @shape = @{ $self->_label_shape };
    @shape = () if @shape == 1 and $shape[0] == 1;
    return [
        AI::MXNet::DataDesc->new(
            name => $self->label_name,
            shape => [$self->batch_size, @shape],
            dtype => $self->_dtype
        )
    ];
}

sub _dtype { return 'float32' }
sub _label_shape { return [1] }

# Rows of an array, which may be short of a batch; what is missing is 0.
sub _take
{
    my ($self, $array, $rows) = @_;
    my $contiguous = $rows->[-1] - $rows->[0] == $#$rows && !grep { $rows->[$_] != $rows->[0] + $_ } 0 .. $#$rows;
    my $taken =
          $contiguous
        ? $array->slice([$rows->[0], $rows->[-1]])
        : AI::MXNet::NDArray->take($array, AI::MXNet::NDArray->array($rows, dtype => 'int32'));
    return $contiguous ? $taken->copy : $taken if @$rows == $self->batch_size;
    my @shape = @{ $array->shape };
    $shape[0] = $self->batch_size - @$rows;
    return AI::MXNet::NDArray->concatenate([$taken, AI::MXNet::NDArray->zeros(\@shape, dtype => $array->dtype)]);
}

1;
