package AI::MXNet::Gluon::Data::Set;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Base ();
use AI::MXNet::Gluon::Arguments;
use Scalar::Util qw(blessed);
use Mouse;
extends 'AI::MXNet::Gluon::Arguments';

# Items by number. A set that can give many at once has batch($numbers), which says what a loader would make of them.

sub _missing { return AI::MXNet::Keshi::fail(ref($_[0]) . ": $_[1]: Not Implemented") }
sub at { return $_[0]->_missing('at') }
sub len { return $_[0]->_missing('len') }

# The set with a sub applied to each item, when it is asked for, or to all now.
sub transform
{
    my ($self, $fn, $lazy) = @_;
    my $transformed = AI::MXNet::Gluon::Data::TransformedSet->new($self, $fn);
    return $transformed if $lazy // 1;
    return AI::MXNet::Gluon::Data::SimpleDataset->new([map { $transformed->at($_) } 0 .. $self->len - 1]);
}

# The same for the first part of each item only.
sub transform_first
{
    my ($self, $fn, $lazy) = @_;
    return $self->transform(sub { my ($first, @rest) = @_; return (scalar $fn->($first), @rest) }, $lazy);
}

package AI::MXNet::Gluon::Data::TransformedSet;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::Data::Set';
has set => (is => 'ro', required => 1);
has fn => (is => 'ro', required => 1);
sub python_constructor_arguments { return [qw(set fn)] }
sub len { return $_[0]->set->len }

sub at
{
    my ($self, $i) = @_;
    my $item = $self->set->at($i);
    my @result = $self->fn->(ref $item eq 'ARRAY' ? @$item : $item);
    return @result > 1 ? \@result : $result[0];
}

package AI::MXNet::Gluon::Data::SimpleDataset;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::Data::Set';
has data => (is => 'ro', required => 1);
sub python_constructor_arguments { return [qw(data)] }
sub len { my $data = $_[0]->data; return ref $data eq 'ARRAY' ? scalar @$data : $data->len }
sub at { my ($self, $i) = @_; return ref $self->data eq 'ARRAY' ? $self->data->[$i] : $self->data->at($i) }
__PACKAGE__->register('AI::MXNet::Gluon::Data');

package AI::MXNet::Gluon::Data::ArrayDataset;     ## no critic (ProhibitMultiplePackages)
use Mouse;
use AI::MXNet::Keshi;
use Scalar::Util qw(blessed);
extends 'AI::MXNet::Gluon::Data::Set';
has data => (is => 'rw', isa => 'PDL|AI::MXNet::NDArray|ArrayRef', required => 1);
has label => (is => 'rw', isa => 'PDL|AI::MXNet::NDArray|ArrayRef', required => 1);
sub python_constructor_arguments { return [qw(data label)] }

# The data is an array, the labels too unless they are numbers, which are a PDL.
sub BUILD
{
    my $self = shift;
    for my $part (qw(data label)) {
        my $given = $self->$part;
        $self->$part(AI::MXNet::NDArray->array($given))
            if ref $given eq 'ARRAY'
            or $given->isa('PDL') && ($part eq 'data' || $given->ndims != 1);
    }
    $self->label($self->label->aspdl) if not $self->label->isa('PDL') and $self->label->ndim == 1;
    my ($of_data, $of_label) = map { $_->len } $self->data, $self->label;
    AI::MXNet::Keshi::fail("data and label lengths must be the same, got $of_data and $of_label")
        if $of_data != $of_label;
    return;
}

sub len { return $_[0]->data->len }
sub at { my ($self, $i) = @_; return [$self->data->at($i), $self->label->at($i)] }

sub batch
{
    my ($self, $indices) = @_;
    return [AI::MXNet::Gluon::Data::rows($self->data, $indices),
        AI::MXNet::Gluon::Data::labels($self->label, $indices)];
}
__PACKAGE__->register('AI::MXNet::Gluon::Data');

package AI::MXNet::Gluon::Data::RecordFileSet;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::Data::Set';
has filename => (is => 'ro', isa => 'Str', required => 1);
has _record => (is => 'rw', init_arg => undef);
has _process => (is => 'rw', init_arg => undef);
sub python_constructor_arguments { return [qw(filename)] }
sub BUILD { my $self = shift; $self->_open; return }

# A forked process has its own place in the file.
sub _open
{
    my $self = shift;
    (my $index = $self->filename) =~ s/\.[^.\/]*\z/.idx/;
    $self->_record(AI::MXNet::IndexedRecordIO->new(idx_path => $index, uri => $self->filename, flag => 'r'));
    $self->_process($$);
    return;
}

sub len { return scalar @{ $_[0]->_record->keys } }

sub at
{
    my ($self, $i) = @_;
    $self->_open if $self->_process != $$;
    my $key = $self->_record->keys->[$i] // AI::MXNet::Keshi::fail("RecordFileSet: got item $i of " . $self->len);
    return $self->_record->read_idx($key);
}
__PACKAGE__->register('AI::MXNet::Gluon::Data');

# -- many items at once

package AI::MXNet::Gluon::Data;    ## no critic (ProhibitMultiplePackages)
*RecordFileDataset = \&RecordFileSet;

# Rows of an array, as an array of its own.
sub rows
{
    my ($array, $indices) = @_;
    my $ascending = !grep { $indices->[$_] != $indices->[0] + $_ } 0 .. $#$indices;
    return $array->slice([@{$indices}[0, -1]])->copy if $ascending;
    return AI::MXNet::NDArray->take($array,
        AI::MXNet::NDArray->array($indices, dtype => 'int32', ctx => $array->context));
}

# The same of labels, which may be numbers in a PDL.
sub labels
{
    my ($labels, $indices) = @_;
    return rows($labels, $indices) if not $labels->isa('PDL');
    my $some = $labels->index(PDL->pdl(PDL::longlong(), $indices));
    return AI::MXNet::NDArray->array($some->sever, dtype => $labels->dtype // 'int32');
}

1;

__END__

=head1 NAME

AI::MXNet::Gluon::Data::Set - data sets

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    my $set = gluon->data->ArrayDataset(nd->arange(stop => 6)->reshape([3, 2]), nd->array([0, 1, 0]));
    my ($x, $y) = @{ $set->at(1) };
    my $scaled = $set->transform_first(sub { $_[0] / 10 });
    print $scaled->at(1)->[0]->aspdl, " $y\n";

    package Squares;
    use Mouse;
    extends 'AI::MXNet::Gluon::Data::Set';
    sub len { 100 }
    sub at { my ($self, $i) = @_; return [AI::MXNet::NDArray->array([$i]), $i**2] }

=head1 DESCRIPTION

A set has C<len> items; C<at($i)> is one of them, or a list of its parts. A set of one's own defines these two.

=over 4

=item ArrayDataset($data, $label)

Rows of an array and their labels. Either may be a PDL; labels of one dimension are numbers.

=item SimpleDataset($list)

The elements of a list.

=item RecordFileSet($file)

The records of an indexed file of records, the index of which ends in F<.idx>; also called RecordFileDataset.

=item transform($sub, $lazy = 1), transform_first($sub, $lazy = 1)

A set with the sub applied to the parts of each item, or to the first of them; with C<$lazy> 0 at once.

=back

=cut
