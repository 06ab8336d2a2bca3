package Runtime;
use strict;
use warnings;
use AI::MXNet qw(mx);
use AI::MXNet::Contrib::ONNX::Wire;
use File::Temp qw(tempdir);
use Zoo;
use Test::More;
use Exporter qw(import);
our @EXPORT = qw(agrees written);

# What ONNX Runtime makes of a file, where there is one, and files that are written node by node.

my $dir = tempdir(CLEANUP => 1);
my $python = $ENV{KESHI_PYTHON} // 'python3';
my $has_runtime = qx($python -c "import onnxruntime; print(1)" 2>&1) =~ /^1/;

my $code = <<'PYTHON';
import sys, numpy as np, onnxruntime as rt
directory, file, *inputs = sys.argv[1:]
options = rt.SessionOptions()
options.intra_op_num_threads = 2
session = rt.InferenceSession(file, options)
feed = {}
for i in range(0, len(inputs), 3):
    name, dtype, shape = inputs[i:i + 3]
    feed[name] = np.fromfile(f'{directory}/in{i // 3}', dtype=dtype).reshape([int(d) for d in shape.split(',')])
for value in session.run(None, feed):
    print(*value.reshape(-1))
PYTHON

sub _by_runtime
{
    my ($file, $inputs) = @_;
    my ($script, @words) = ("$dir/run.py", $dir, $file);
    for my $name (sort keys %$inputs) {
        my $array = $inputs->{$name};
        _write("$dir/in" . (@words - 2) / 3, ${ $array->aspdl->get_dataref });
        push @words, $name, $array->dtype, join ',', @{ $array->shape };
    }
    _write($script, $code);
    return map { [split ' '] } qx($python $script @words);
}

sub _write
{
    my ($file, $bytes) = @_;
    open my $out, '>:raw', $file or die "$file: $!";
    print {$out} $bytes;
    close $out or die "$file: $!";
    return;
}

# For these inputs, by name, ONNX Runtime's outputs are those that are wanted.
sub agrees
{
    my ($name, $file, $inputs, $want, $tolerance) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
SKIP: {
        skip "$python has no onnxruntime; KESHI_PYTHON names another Python", 1 if not $has_runtime;
        my @theirs = _by_runtime($file, $inputs);
        my ($got, $sizes) = map { join ',', @$_ } [map { scalar @$_ } @theirs], [map { $_->size } @$want];
        return fail("$name in ONNX Runtime: got $got values, want $sizes") if $got ne $sizes;
        my ($off) = sort { $b <=> $a }
            map { off_by(mx->nd->array($theirs[$_])->reshape($want->[$_]->shape), $want->[$_]) } 0 .. $#theirs;
        cmp_ok($off, '<', $tolerance, "$name in ONNX Runtime");
    }
    return;
}

# A file of nodes [operator, inputs, outputs, attributes], tensors by name, scalars among them, and names with shapes of inputs and outputs.
sub written
{
    my ($file, %part) = @_;
    my %code = (float32 => 1, int32 => 6, int64 => 7);
    my $attribute = sub {
        my ($name, $value) = @_;
        return { name => $name, type => 8, strings => $value } if ref $value and $value->[0] =~ /[a-z]/i;
        return { name => $name, type => 7, ints => $value } if ref $value;
        return { name => $name, type => 2, i => $value } if $value =~ /^-?\d+$/;
        return { name => $name, type => 1, f => $value } if $value =~ /^-?[\d.]+$/;
        return { name => $name, type => 3, s => $value };
    };
    my @nodes = map {
        my ($op, $in, $out, %a) = @$_;
        +{
            op_type => $op,
            input => $in,
            output => $out,
            attribute => [map { $attribute->($_, $a{$_}) } sort keys %a]
        }
    } @{ $part{nodes} };
    my $tensors = $part{tensors} // {};
    my %is_scalar = map { $_ => 1 } @{ $part{scalars} // [] };
    my @tensors = map {
        my $x = $tensors->{$_};
        my $dims = $is_scalar{$_} ? [] : $x->shape;
        +{ name => $_, data_type => $code{ $x->dtype }, dims => $dims, raw_data => ${ $x->aspdl->get_dataref } }
    } sort keys %$tensors;
    my $value = sub {
        my ($name, $shape, $dtype) = @_;
        my @dim = map { /^\d/ ? { dim_value => $_ } : { dim_param => $_ } } @$shape;
        return {
            name => $name,
            type => { tensor_type => { elem_type => $code{ $dtype // 'float32' }, shape => { dim => \@dim } } }
        };
    };
    my $model = {
        ir_version => 7,
        opset_import => [{ domain => '', version => $part{version} // 13 }],
        graph => {
            name => 'written',
            node => \@nodes,
            initializer => \@tensors,
            input => [map { $value->(@$_) } @{ $part{inputs} }],
            output => [map { $value->(@$_) } @{ $part{outputs} }],
        }
    };
    _write($file, AI::MXNet::Contrib::ONNX::Wire::encode(Model => $model));
    return $file;
}

1;
